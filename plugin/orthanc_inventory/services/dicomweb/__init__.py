"""The Non-Patient Instance Service of DICOMweb for inventories (PS3.18 12): ``{root}inventories``."""
