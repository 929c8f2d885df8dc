"""One file per kind of recording: what it holds, run through our code and compared.

`golden` reads them; the tests of parity and the command import this room.
"""
