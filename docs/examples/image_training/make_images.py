"""Draw the images of the example into a folder, or into a bucket: ``python make_images.py s3://bucket/images``.

Credentials and the endpoint of S3 come from the environment, as boto3 reads it.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from urllib.parse import urlsplit

from image_training import drawing


def main() -> None:
    """Draw and store them."""
    parser = argparse.ArgumentParser(description="Draw shapes to learn from.")
    parser.add_argument("target", help="a folder, or s3://bucket/prefix")
    parser.add_argument("--count", type=int, default=100, help="how many of each shape (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="other seeds draw other images")
    chosen = parser.parse_args()
    files = list(drawing.images(chosen.count, seed=chosen.seed))
    if chosen.target.startswith("s3://"):
        import boto3

        parts = urlsplit(chosen.target)
        client = boto3.client("s3")
        for name, content in files:
            key = f"{parts.path.strip('/')}/{name}".lstrip("/")
            client.put_object(Bucket=parts.netloc, Key=key, Body=content, ContentType="image/png")
    else:
        for name, content in files:
            file = Path(chosen.target, name)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
    print(f"{len(files)} images in {chosen.target}")


if __name__ == "__main__":
    main()
