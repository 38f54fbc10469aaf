"""``python -m train.chords``.

The program is :mod:`train.chords.task`: worker processes can't import what a package's ``__main__`` defines.
"""

from train.chords.task import main

if __name__ == "__main__":
    main()
