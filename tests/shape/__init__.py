"""Tests of the shape room."""
