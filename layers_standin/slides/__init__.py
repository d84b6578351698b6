"""Slides, posters and the clip: the looks of content. `drawing` imports Pillow, which is slow; `formats` does not."""
