"""The one family of errors a person is shown: a plain sentence that names the input and the mend."""


class TarecometError(ValueError):
    """Base of every refusal. ``str(error)`` is one line, fit to be printed as it is."""


class InputError(TarecometError):
    """Something a person gave cannot be used.

    Parameters
    ----------
    where : str
        The file, segment or field that is wrong.
    problem : str
        What is wrong, with expected and actual value.
    mend : str
        What the person can do about it.
    code : str
        Machine name of the refusal, stable across wordings.
    """

    def __init__(self, where: str, problem: str, mend: str, code: str = "input") -> None:
        self.where = where
        self.problem = problem
        self.mend = mend
        self.code = code
        super().__init__(f"{where}: {problem.rstrip('.')}. {mend.rstrip('.')}.")


class GeometryError(InputError):
    """Two grids that had to be the same are not, or a grid cannot be used."""

    def __init__(self, where: str, problem: str, mend: str, code: str = "geometry") -> None:
        super().__init__(where, problem, mend, code)
