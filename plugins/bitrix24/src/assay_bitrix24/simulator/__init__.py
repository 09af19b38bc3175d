"""A stand-in of Bitrix24: the login that all portals share, and two portals, on one address."""

from assay_bitrix24.simulator.examined import Bitrix24Simulator

__all__ = ["Bitrix24Simulator"]
