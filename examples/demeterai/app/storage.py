"""Where photos are kept: a folder that API and workers share, or an S3 bucket."""

from typing import TYPE_CHECKING, Protocol

from app.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path


class Storage(Protocol):
    def save(self, key: str, content: bytes) -> None: ...

    def load(self, key: str) -> bytes: ...


class FolderStorage:
    def __init__(self, folder: "Path") -> None:
        self._folder = folder

    def save(self, key: str, content: bytes) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / key).write_bytes(content)

    def load(self, key: str) -> bytes:
        return (self._folder / key).read_bytes()


class BucketStorage:
    def __init__(self, bucket: str) -> None:
        # boto3 takes a third of a second to import: only those who use it wait for it.
        import boto3

        self._client = boto3.client("s3")
        self._bucket = bucket

    def save(self, key: str, content: bytes) -> None:
        self._client.put_object(Bucket=self._bucket, Key=key, Body=content)

    def load(self, key: str) -> bytes:
        return self._client.get_object(Bucket=self._bucket, Key=key)["Body"].read()


def open_storage(settings: Settings) -> Storage:
    if settings.photo_bucket:
        return BucketStorage(settings.photo_bucket)
    return FolderStorage(settings.upload_dir)
