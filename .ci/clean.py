#!/usr/bin/env python3
"""Clean notebooks as nbdev_clean does, and give all of them the same kernel: that of your environment is your own.

Usage: .ci/clean.py
"""
import json
import subprocess
import sys

from pages import KERNEL, TOP, pages


def main():
    "Clean all pages; exit status"
    subprocess.run(['nbdev_clean'], cwd=TOP, check=True)
    for page in pages():
        if page.notebook['metadata'].get('kernelspec') == KERNEL: continue
        page.notebook['metadata']['kernelspec'] = KERNEL
        page.path.write_text(json.dumps(page.notebook, indent=1, ensure_ascii=False) + '\n', encoding='utf8')
        print(f'{page.name}: the kernel is {KERNEL["name"]} again')
    return 0


if __name__ == '__main__': sys.exit(main())
