"""An S3-compatible store in place of MinIO: moto, at MinIO's port."""

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import run_simple

run_simple("0.0.0.0", 9000, DomainDispatcherApplication(create_backend_app), threaded=True)
