"""Pictures -> a small H.264 movie that every player and Blender take: 4:2:0, BT.709, limited range, even sizes."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av

from backend.types import ByteArray

CRF = "21"
"""x264's measure of quality: 18 can't be told from the source, 28 is coarse."""
BT709, LIMITED = 1, 1
"""AVColorSpace, AVColorRange."""


def write_movie(path: Path, pictures: Iterable[ByteArray], fps: float) -> int:
    """Write (h, w, 3) uint8 sRGB pictures of one size, at least one, as MP4; an odd last row or column is left out. -> how many they were.

    Raises OSError; what was written of the file until then stays.
    """
    rate, count = Fraction(fps).limit_denominator(100_000), 0
    with av.open(str(path), "w", format="mp4", options={"movflags": "faststart"}) as output:
        stream = output.add_stream("libx264", rate=rate, options={"crf": CRF, "preset": "veryfast"})
        stream.pix_fmt = "yuv420p"
        context = stream.codec_context
        context.colorspace, context.color_range, context.color_primaries, context.color_trc = BT709, LIMITED, BT709, BT709
        for picture in pictures:
            height, width = picture.shape[0] // 2 * 2, picture.shape[1] // 2 * 2
            if count == 0:
                stream.width, stream.height = width, height
            frame = av.VideoFrame.from_ndarray(picture[:height, :width].copy(), "rgb24")
            frame = frame.reformat(format="yuv420p", dst_colorspace="itu709", dst_color_range=LIMITED)
            frame.pts, frame.time_base = count, 1 / rate
            output.mux(stream.encode(frame))
            count += 1
        output.mux(stream.encode())
    return count
