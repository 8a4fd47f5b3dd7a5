"""What would stop or spoil a training run, found before a GPU is touched.

Each check is a pure function from what was read to findings; only ``audio_files`` and
``configuration`` touch files.
"""
