"""A folder on the Hugging Face Hub."""

from pathlib import Path


def push_folder(folder: Path, repository: str) -> str:
    """Upload a folder to a model repository, which is made where there is none; returns where it stands.

    ImportError where huggingface_hub is not installed; its own errors where nobody is logged in, or may not write.
    """
    try:
        import huggingface_hub
    except ImportError as error:
        raise ImportError("--push needs huggingface_hub: pip install 'vae-jax[huggingface]'.") from error
    client = huggingface_hub.HfApi()
    client.create_repo(repository, exist_ok=True)
    return str(client.upload_folder(repo_id=repository, folder_path=folder))
