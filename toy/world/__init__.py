"""The world: a presenter who speaks and handles a product, each frame a pure function of (seed, frame).

`scene` chooses, `pose` says where everything is, `render` draws it; `voice` opens the mouth, `prompt` says it in words.
"""
