"""Pictures as SVG text, one kind a file; each draws for a width that also fits a telephone."""
