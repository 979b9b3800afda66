"""The standard: records, attribute tables, encoding, the Inventory IOD. Knows nothing of Orthanc or of networks."""
