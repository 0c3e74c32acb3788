"""`engine.login`, `engine.logout`: words as in docker's Python client."""

from __future__ import annotations

from rootless.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json


class Logins:
    """Methods of Engine.  Hot: no imports."""

    def login(
        self,
        username: str = "",
        password: str = "",
        email: str | None = None,
        registry: str = "docker.io",
        reauth: bool = False,
        *,
        authfile: str = "",
        tls_verify: bool | None = None,
        cert_dir: str = "",
    ) -> Json:
        """Try a password at a registry and keep it; {"Status": ..., "Kept": where}.

        Without a name and a password, what is stored is tried.  `email` and `reauth` are
        docker's and mean nothing here.  Raises RegistryError, UsageError.
        """
        from rootless.images.registry import credentials
        from rootless.images.registry import login as registry_login

        host, namespace = registry_login.split(registry)
        if username or password:
            given = credentials.Credentials(username, password)
            kept = registry_login.login(
                registry, given, authfile=authfile, tls_verify=tls_verify, cert_dir=cert_dir
            )
            return {"Status": "Login Succeeded", "Kept": kept}
        known = credentials.find(host, namespace, authfile)
        if known is None:
            raise UsageError(f"you are not logged in to {registry}", hint="give a name")
        registry_login.try_out(host, known, tls_verify=tls_verify, cert_dir=cert_dir)
        return {
            "Status": "Login Succeeded",
            "Kept": credentials.where(host, namespace, authfile)[0],
        }

    def logged_in(self, registry: str, *, authfile: str = "") -> str:
        """The name that is stored for a registry, "" if none is."""
        from rootless.images.registry import credentials
        from rootless.images.registry import login as registry_login

        host, namespace = registry_login.split(registry)
        known = credentials.find(host, namespace, authfile)
        return (known.user or "<token>") if known is not None else ""

    def logout(self, registry: str = "docker.io", *, authfile: str = "") -> list[str]:
        """Forget a password; the places that still have one.  Raises UsageError."""
        from rootless.images.registry import login as registry_login

        return registry_login.logout(registry, authfile=authfile)

    def logout_all(self, *, authfile: str = "") -> None:
        """Forget all passwords in the file where `login` writes."""
        from rootless.images.registry import credentials

        credentials.remove_all(authfile)
