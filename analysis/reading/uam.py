"""The trials of UAM whose gamma acts."""

from __future__ import annotations

import pandas as pd

from analysis.reading.selection import numeric_parameter, parameter, setting_without


def uam_where_gamma_acts(trials: pd.DataFrame, free: set[str]) -> pd.DataFrame:
    """Trials of UAM in which gamma acts, with numeric columns `rho` and `gamma`, and two of text.

    `setting` is their hyperparameters but the free ones; `rule` says in words what of UAM's rule is not as by default
    (`hessian: scalar`, `ascent: rise`), and is empty where all is.
    """
    uam = trials[trials["method"] == "uam"]
    hessian, ascent = parameter(uam, "hessian").fillna("projection"), parameter(uam, "ascent").fillna("radius")
    scalar, rise = (hessian == "scalar").map({True: "hessian: scalar", False: ""}), ascent == "rise"
    uam = uam.assign(
        rho=numeric_parameter(uam, "rho"),
        gamma=numeric_parameter(uam, "gamma"),
        setting=setting_without(uam, free),
        rule=[
            ", ".join(filter(None, (one, "ascent: rise" if two else ""))) for one, two in zip(scalar, rise, strict=True)
        ],
    )
    return uam[hessian.isin(["projection", "scalar"])]
