"""From a cell of the table to a row that is checked: text, boxes, frames, token masks, the contact sheet.

`preflight` is its door; it reads files through `media` and never a model.
"""
