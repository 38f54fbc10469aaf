"""``python -m train.live``.

The program is :mod:`train.live.task`: worker processes can't import what a package's ``__main__`` defines.
"""

from train.live.task import main

if __name__ == "__main__":
    main()
