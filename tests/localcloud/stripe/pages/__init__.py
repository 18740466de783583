"""The stand-in's pages for people: checkout, dashboard, control."""
