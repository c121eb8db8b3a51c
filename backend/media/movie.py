"""Movies through libav: MP4, MOV, WebM and Matroska, opened by name, so that no playlist or device is ever taken for one.

Enters a file; leaves a `source.Source`. The file is gone through twice: without decoding for the frames' times, then from the last key
frame before the stretch on. libav reads nothing but this one open file; it may use the decoders that are listed here and no other. Alpha
comes from the decoders that know it: libvpx for VP8 and VP9 (libav's own drop it), ProRes 4444, QuickTime Animation, PNG.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np
import PIL.Image
from av.container import InputContainer
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace, Interpolation, VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from backend.errors import MenagerieError
from backend.media.frame_store import LONGEST_SIDE
from backend.media.orientation import Orientation, orientation_of
from backend.media.source import LARGEST_FRAME, MOST_LISTED, Frame, check_size, fitted, refuse, too_many
from backend.media.tone import screen_table

DECODERS = (
    "h264", "hevc", "libdav1d", "av1", "vp8", "vp9", "libvpx", "libvpx-vp9", "mpeg4", "mpeg2video", "mjpeg", "prores", "dnxhd", "cfhd",
    "qtrle", "png", "ffv1", "rawvideo", "v210", "huffyuv",
)  # fmt: skip
WITH_ALPHA = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
"""Codec -> the decoder that gives its alpha."""
THREADS = 2
"""Of a decoder: each holds frames of its own."""
WIDEST_PIXEL = 8.0
"""A pixel's width over its height that is still believed."""
KNOWN_MATRICES = (1, 4, 5, 6, 7, 9)
"""AVColorSpace of the YUV matrices that are converted as named: BT.709, FCC, BT.470BG, SMPTE 170M and 240M, BT.2020."""
HIGH_DEFINITION = 720
"""Rows from which a clip that names no matrix is BT.709, as every player takes it."""
FINE = Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT | Interpolation.FULL_CHR_H_INP
CUT_SECONDS, CUT_SHARE = 0.5, 0.03
"""What a stream may be shorter than its file says before it counts as cut off."""

INTERLACED = "The clip is interlaced: fast legs show combs. A copy that was deinterlaced gives a better motion."


class Movie:
    """A `source.Source`. kind: libav's name of the file's format."""

    def __init__(self, path: Path, kind: str) -> None:
        self._path, self._kind = path, kind
        self._ticks: NDArray[np.int64]
        self._size: tuple[int, int] | None = None
        self._orientation = Orientation()
        self._converter = VideoReformatter()
        self.warnings: list[str] = []
        try:
            with self._open() as container:
                self._list_frames(container)
        except av.FFmpegError as error:
            raise self._refusal(error) from error

    def _open(self) -> InputContainer:
        # Opened as bytes, not by its name: what is relative to a file leads nowhere then.
        return av.open(
            self._path.open("rb"), "r", format=self._kind, io_open=_open_nothing, metadata_errors="replace",
            options={"max_pixels": str(LARGEST_FRAME)},
            container_options={"protocol_whitelist": "", "format_whitelist": "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm",
                               "codec_whitelist": ",".join(DECODERS), "enable_drefs": "0"},
        )  # fmt: skip

    def _refusal(self, error: av.FFmpegError) -> MenagerieError:
        if error.errno == errno.ENOMEM:
            return refuse("clip_too_large", self._path, "needs too much memory")
        return refuse("clip_unreadable", self._path, "is damaged or cut short")

    def _stream(self, container: InputContainer) -> VideoStream:
        """The one that is played. Raises `clip_unsupported`, `clip_unreadable`, `clip_too_large`."""
        for stream in container.streams.video:
            if not stream.disposition & Disposition.attached_pic:
                context = stream.codec_context
                if context is None or context.codec is None or context.codec.name not in DECODERS:
                    raise refuse("clip_unsupported", self._path, "is coded in a way that can't be read")
                if not stream.width:
                    reason = f"shows no frame that can be decoded, or frames of more than {LARGEST_FRAME // 1_000_000} megapixels"
                    raise refuse("clip_unreadable", self._path, reason, "Save a smaller copy of it as MP4 (H.264) and choose that.")
                check_size(self._path, stream.width, stream.height)
                return stream
        raise refuse("clip_unsupported", self._path, "has no moving pictures", "Choose a clip with pictures in it.")

    def _list_frames(self, container: InputContainer) -> None:
        """Find the times of all frames, in seconds from the first."""
        stream = self._stream(container)
        ticks: set[int] = set()
        cut = False
        try:
            for packet in container.demux(stream):
                tick = packet.pts if packet.pts is not None else packet.dts
                if packet.size == 0 or tick is None or packet.is_discard or packet.is_corrupt or _is_hidden(stream, packet):
                    cut |= bool(packet.is_corrupt)
                    continue
                ticks.add(tick)
                if len(ticks) > MOST_LISTED:
                    raise too_many(self._path)
        except av.FFmpegError:
            cut = True
        if not ticks:
            raise refuse("clip_unreadable", self._path, "holds no frames")
        self._ticks = np.array(sorted(ticks), np.int64)
        base = stream.time_base
        assert base is not None
        self.times: NDArray[np.float64] = (self._ticks - self._ticks[0]).astype(np.float64) * (base.numerator / base.denominator)
        step = float(np.median(np.diff(self.times))) if len(ticks) > 1 else 0.0
        self.length = float(self.times[-1]) + step
        self.rate = float(stream.average_rate) if stream.average_rate else None
        told = self._told_length(container, stream)
        if cut or (told is not None and told - self.length > max(CUT_SECONDS, CUT_SHARE * told)):
            of = f" of {told:.1f}" if told is not None and told > self.length else ""
            self.warnings.append(f"The clip is cut off after {self.length:.1f}{of} seconds; what comes before is used.")

    def _told_length(self, container: InputContainer, stream: VideoStream) -> float | None:
        """Seconds, as the file says; None where it doesn't say for this stream alone."""
        if stream.duration and stream.time_base:
            return float(stream.duration * stream.time_base)
        if container.duration and not container.streams.audio:
            return container.duration / 1e6
        return None

    def frames(self, first: int, last: int) -> Iterator[Frame]:
        """Raises MenagerieError. Frames that are damaged are left out."""
        try:
            for from_start in (False, True):
                with self._open() as container:
                    found = self._decode(container, first, last, from_start)
                    start = next(found, None)
                    if start is None or (start[0] > first and not from_start):
                        continue  # the index led astray: once more from the very beginning
                    yield start
                    yield from found
                    return
        except av.FFmpegError as error:
            raise self._refusal(error) from error

    def _decode(self, container: InputContainer, first: int, last: int, from_start: bool) -> Iterator[Frame]:
        stream = self._stream(container)
        decoder = self._decoder(stream)
        if not from_start and first > 0:
            try:
                container.seek(int(self._ticks[first]), stream=stream, backward=True)
            except av.FFmpegError:
                return
        packets = container.demux(stream)
        seen = -1
        while True:
            try:
                packet = next(packets, None)
                if packet is None:
                    return
                decoded = decoder.decode(packet)
            except av.FFmpegError as error:
                if error.errno == errno.ENOMEM:
                    raise
                continue  # it is of one packet; where reading itself failed, there is no next
            for frame in decoded:
                tick = frame.pts if frame.pts is not None else frame.dts
                if tick is None or frame.is_corrupt:
                    continue
                number = self._number(tick)
                if number <= seen:
                    continue
                seen = number
                yield number, partial(self._picture, frame, stream)
                if number >= last:
                    return

    def _number(self, tick: int) -> int:
        """Of the frame that stands nearest to a time."""
        after = min(int(np.searchsorted(self._ticks, tick)), len(self._ticks) - 1)
        before = max(0, after - 1)
        return before if abs(int(self._ticks[before]) - tick) < abs(int(self._ticks[after]) - tick) else after

    def _decoder(self, stream: VideoStream) -> Any:
        """What turns packets into frames."""
        context: Any = stream.codec_context
        alpha = {key.lower(): value for key, value in stream.metadata.items()}.get("alpha_mode") == "1"
        if alpha and context.codec.name in WITH_ALPHA:
            context = av.CodecContext.create(WITH_ALPHA[context.codec.name], "r")
            context.extradata = stream.codec_context.extradata
            context.options = {"max_pixels": str(LARGEST_FRAME)}
        context.thread_count = THREADS
        context.thread_type = "AUTO"
        return context

    def _note(self, frame: VideoFrame) -> None:
        """Say once what the person should know of the frames."""
        if frame.interlaced_frame and INTERLACED not in self.warnings:
            self.warnings.append(INTERLACED)

    def _picture(self, frame: VideoFrame, stream: VideoStream) -> PIL.Image.Image:
        """A decoded frame as it is shown."""
        self._note(frame)
        if self._size is None:
            beside: Any = frame.side_data  # of the first alone: who looks at it there is tied to the frame, and frees it late
            self._orientation = orientation_of(bytes(beside["DISPLAYMATRIX"])) if "DISPLAYMATRIX" in beside else Orientation()
            pixel = float(stream.sample_aspect_ratio or 1)
            pixel = pixel if 1 / WIDEST_PIXEL <= pixel <= WIDEST_PIXEL else 1.0
            # A wide pixel's rows are thinned out, a narrow one's columns: nothing is made up.
            shown = fitted(frame.width * min(pixel, 1.0), frame.height / max(pixel, 1.0), LONGEST_SIDE)
            self._size = self._orientation.size(*shown)
        size, matrix = self._orientation.size(*self._size), matrix_of(frame)
        if has_alpha(frame):
            whole = self._converter.reformat(frame, format="rgba", src_colorspace=matrix, interpolation=Interpolation.BICUBIC | FINE)
            picture = PIL.Image.fromarray(whole.to_ndarray())
            # Pillow weighs colours by their alpha: what is transparent doesn't leak into the edge.
            pixels = np.asarray(picture if picture.size == size else picture.resize(size, PIL.Image.Resampling.BOX, reducing_gap=None))
        else:
            kind = Interpolation.AREA if size[0] < frame.width or size[1] < frame.height else Interpolation.BICUBIC
            made = self._converter.reformat(
                frame, width=size[0], height=size[1], format="rgb24", src_colorspace=matrix, interpolation=kind | FINE
            )
            pixels = made.to_ndarray()
            if (table := screen_table(frame.color_trc)) is not None:
                pixels = np.asarray(PIL.Image.fromarray(pixels).filter(table))
        return PIL.Image.fromarray(self._orientation.apply(pixels))


def _open_nothing(url: str, flags: int, options: dict[str, str]) -> None:
    """What libav is given when a file asks for another one."""
    raise PermissionError(errno.EACCES, "a clip may not open other files")


def _is_hidden(stream: VideoStream, packet: Any) -> bool:
    """Whether a packet is decoded but never shown: VP8's golden frames, told by the lowest bits of the first byte (RFC 6386, 9.1)."""
    return stream.codec_context.name == "vp8" and packet.size > 0 and not memoryview(packet)[0] & 0x10


def has_alpha(frame: VideoFrame) -> bool:
    """Whether a frame's format has room for alpha."""
    return frame.format.name == "pal8" or any(component.is_alpha for component in frame.format.components)


def matrix_of(frame: VideoFrame) -> Colorspace | None:
    """The YUV matrix to convert by; None where the frame names one that is known, or is RGB."""
    if frame.format.is_rgb or frame.colorspace in KNOWN_MATRICES:
        return None
    return Colorspace.ITU709 if max(frame.height, frame.width * 9 // 16) >= HIGH_DEFINITION else Colorspace.ITU601
