"""The words of `core.words`, under their former name."""

from bao_backup.core.words import age_in_words, duration_in_words, size_in_words, time_in_words

__all__ = ["age_in_words", "duration_in_words", "size_in_words", "time_in_words"]
