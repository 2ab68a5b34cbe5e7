"""The search for what scores best in a latent space. Imports pictures and all below."""
