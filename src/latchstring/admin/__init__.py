"""The panel: pages for administrators. One file for each noun; what may be done, domain/panel.py says."""
