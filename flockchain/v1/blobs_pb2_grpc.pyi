from typing import Any

import grpc.aio

from flockchain.v1 import blobs_pb2

class BlobServiceStub:
    def __init__(self, channel: grpc.aio.Channel) -> None: ...
    HasChunks: grpc.aio.UnaryUnaryMultiCallable[blobs_pb2.HasChunksRequest, blobs_pb2.HasChunksResponse]
    UploadBlob: grpc.aio.StreamUnaryMultiCallable[blobs_pb2.UploadBlobRequest, blobs_pb2.UploadBlobResponse]
    DownloadBlob: grpc.aio.UnaryStreamMultiCallable[blobs_pb2.DownloadBlobRequest, blobs_pb2.DownloadBlobResponse]

class BlobServiceServicer:
    def HasChunks(self, request: Any, context: Any) -> Any: ...
    def UploadBlob(self, request: Any, context: Any) -> Any: ...
    def DownloadBlob(self, request: Any, context: Any) -> Any: ...

def add_BlobServiceServicer_to_server(servicer: BlobServiceServicer, server: Any) -> None: ...
