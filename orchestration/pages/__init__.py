"""Static pages of a publication: HTML and SVG charts from published files, inside the publication’s folder."""
