"""Synthetic speech: libespeak-ng through ctypes, from the ``espeakng-loader`` wheel.

The library keeps one global synthesiser a process, so :func:`synthesiser` hands out one shared
object. Constants and call signatures follow espeak-ng 1.52's public header ``speak_lib.h``.
"""

from __future__ import annotations

import ctypes
from functools import lru_cache

import numpy as np

from fairseq_dro.data.manifest_writer import SAMPLE_RATE
from fairseq_dro.errors import UserError

_SYNCHRONOUS_OUTPUT = 2  # espeak_AUDIO_OUTPUT: samples go to the callback, call returns at the end
_TEXT_IS_UTF8 = 1
_RATE, _PITCH, _PITCH_RANGE = 1, 3, 4  # espeak_PARAMETER
_OK = 0

_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)


class Espeak:
    """One initialised libespeak-ng.

    Raises:
        UserError: the wheel is not installed, or its library or data cannot be loaded.
    """

    def __init__(self) -> None:
        try:
            import espeakng_loader
        except ImportError:
            raise UserError(
                "Speech cannot be synthesised because espeakng-loader is not installed: "
                "type `pip install espeakng-loader babel soxr`."
            ) from None
        path = espeakng_loader.get_library_path()
        try:
            self._library = ctypes.CDLL(path)
        except OSError as error:
            raise UserError(
                f"libespeak-ng cannot be loaded from {path} ({error}): "
                "type `pip install --force-reinstall espeakng-loader`."
            ) from None
        self._library.espeak_Initialize.argtypes = [
            ctypes.c_int, ctypes.c_int, ctypes.c_char_p, ctypes.c_int
        ]  # fmt: skip
        self._library.espeak_Synth.argtypes = [
            ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint, ctypes.c_int, ctypes.c_uint,
            ctypes.c_uint, ctypes.c_void_p, ctypes.c_void_p,
        ]  # fmt: skip
        data = espeakng_loader.get_data_path()
        self.native_rate_hz: int = self._library.espeak_Initialize(
            _SYNCHRONOUS_OUTPUT, 0, str(data).encode(), 0
        )
        if self.native_rate_hz <= 0:
            raise UserError(
                f"libespeak-ng refuses its data folder {data}: "
                "type `pip install --force-reinstall espeakng-loader`."
            )
        self._chunks: list[np.ndarray] = []
        self._callback = _Callback(self._collect)  # kept: C holds only a pointer to it
        self._library.espeak_SetSynthCallback(self._callback)

    def _collect(self, samples, n_samples: int, _events) -> int:
        if samples and n_samples > 0:
            self._chunks.append(np.ctypeslib.as_array(samples, shape=(n_samples,)).copy())
        return 0

    def speak(
        self, text: str, voice: str, *, words_per_minute: int = 175, pitch: int = 50,
        pitch_range: int = 50,
    ) -> np.ndarray:  # fmt: skip
        """Synthesise one sentence.

        Args:
            voice: espeak's name, with an optional variant after a plus: ``de``, ``de+f2``.
            words_per_minute: 80 to 450.
            pitch, pitch_range: 0 to 100.

        Returns:
            [T] float32 within -1 and 1, at 16 kHz; all zeros or empty where the voice
            cannot read the script.

        Raises:
            UserError: the library does not know the voice.
        """
        import soxr

        if self._library.espeak_SetVoiceByName(voice.encode()) != _OK:
            raise UserError(
                f"libespeak-ng has no voice {voice!r}: expected a name such as 'de' or 'ka+f2'; "
                "`fairseq-dro prepare espeak --list` shows the languages."
            )
        for parameter, value in (
            (_RATE, words_per_minute), (_PITCH, pitch), (_PITCH_RANGE, pitch_range)
        ):  # fmt: skip
            self._library.espeak_SetParameter(parameter, value, 0)
        # The breath noise of consonants is drawn from one global generator: without this the
        # samples of a sentence would depend on the sentences spoken before it.
        self._library.espeak_ng_SetRandSeed(ctypes.c_long(1))
        self._chunks.clear()
        encoded = text.encode("utf-8") + b"\0"
        status = self._library.espeak_Synth(
            encoded, len(encoded), 0, 1, 0, _TEXT_IS_UTF8, None, None
        )
        if status != _OK:
            raise RuntimeError(f"espeak_Synth answered {status} for {text!r}")
        if not self._chunks:
            return np.zeros(0, dtype=np.float32)
        native = np.concatenate(self._chunks).astype(np.float32) / 32768.0
        return soxr.resample(native, self.native_rate_hz, SAMPLE_RATE).astype(np.float32)


@lru_cache(maxsize=1)
def synthesiser() -> Espeak:
    """The one synthesiser of this process."""
    return Espeak()
