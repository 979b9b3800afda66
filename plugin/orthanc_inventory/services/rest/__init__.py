"""The REST routes below ``/inventories``."""
