"""What start.sh does once Orthanc runs: demo studies, a first inventory, and the check of it."""
