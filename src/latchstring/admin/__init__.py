"""The panel: pages for administrators. One folder per noun; domain/panel.py holds the permissions."""
