"""Why a model has no answer: what every fit raises, and `models.answer` turns into a record."""

from __future__ import annotations

from state.errors import HeadraceError


class ModelFailed(HeadraceError):
    """A fit or an optimisation has no usable result; args: (reason,), one line for people."""
