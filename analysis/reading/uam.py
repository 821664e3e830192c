"""The trials of UAM in which gamma has an effect, for the figures of its hyperparameters."""

from __future__ import annotations

import pandas as pd

from analysis.reading.selection import numeric_parameter, parameter, setting_without


def uam_where_gamma_acts(trials: pd.DataFrame, free: set[str]) -> pd.DataFrame:
    """Select the trials of UAM in which gamma has an effect, and add four columns.

    `rho` and `gamma` are numbers. `setting` is JSON of all hyperparameters but the `free` ones. `rule` says in words
    where UAM's rule is not the default one (`hessian: scalar`, `ascent: rise` or `rosu`), and is empty where it is.
    """
    uam = trials[trials["method"] == "uam"]
    hessian, ascent = parameter(uam, "hessian").fillna("projection"), parameter(uam, "ascent").fillna("radius")
    scalar = (hessian == "scalar").map({True: "hessian: scalar", False: ""})
    uam = uam.assign(
        rho=numeric_parameter(uam, "rho"),
        gamma=numeric_parameter(uam, "gamma"),
        setting=setting_without(uam, free),
        rule=[
            ", ".join(filter(None, (one, "" if two == "radius" else f"ascent: {two}")))
            for one, two in zip(scalar, ascent, strict=True)
        ],
    )
    return uam[hessian.isin(["projection", "scalar"])]
