"""Django's settings. What an installation turns comes from the environment, through `config.env`."""

from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from django.templatetags.static import static
from django.urls import reverse_lazy
from django.utils.translation import gettext_lazy as _
from psycopg.conninfo import conninfo_to_dict

from config import celery, env, logging

BASE_DIR: Final = Path(__file__).resolve().parent.parent
ENVIRONMENT: Final = env.read()

# --- who we are -----------------------------------------------------------------------------------
PRODUCTION = ENVIRONMENT.production
DEBUG = False  # errors are answered in the contract's shape in development too
SECRET_KEY = ENVIRONMENT.secret_key
SECRET_KEY_FALLBACKS = ENVIRONMENT.secret_key_fallbacks
ALLOWED_HOSTS = ENVIRONMENT.allowed_hosts
PUBLIC_URL = ENVIRONMENT.public_url
TRUSTED_PROXIES = ENVIRONMENT.trusted_proxies
ADMIN_PATH = ENVIRONMENT.admin_path
ADMIN_ADDRESSES = ENVIRONMENT.admin_addresses
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
AUTH_USER_MODEL = "accounts.Member"
SILENCED_SYSTEM_CHECKS = ["auth.W004"]  # e-mails are unique whatever their case, by a constraint

INSTALLED_APPS = [
    "config",  # before django.core: its `migrate` connects as the owner of the tables
    "messaging",
    "contacts",
    "billing",
    "accounts",
    "unfold",
    "unfold.contrib.filters",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "rest_framework_simplejwt",
    "rest_framework_simplejwt.token_blacklist",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
]

MIDDLEWARE = [
    "config.middleware.RefuseNul",
    "config.middleware.TrustedProxies",
    "config.middleware.AdminAddresses",
    "accounts.doors.throttles.RateLimitHeaders",
    "django.middleware.security.SecurityMiddleware",
    "config.middleware.ContentSecurityPolicy",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "config.middleware.DatabaseAway",
    "django.middleware.common.CommonMiddleware",
    "config.middleware.LimitBodies",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

# --- PostgreSQL and Redis -------------------------------------------------------------------------
WORKER_STATEMENT_TIMEOUT: Final = "60s"
_DATABASE_OPTIONS: Final = {
    "connect_timeout": 3,
    "keepalives_idle": 10,
    "keepalives_interval": 3,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,  # ms; keepalives do not act while sent data waits for its receipt
    "options": " ".join(
        f"-c {name}={value}"
        for name, value in {
            "synchronous_commit": "on",  # a mark that a crash forgets would be sent again
            "statement_timeout": "30s",  # workers raise theirs to 60 s, accepting a broadcast to 300 s
            "lock_timeout": "5s",
            "idle_in_transaction_session_timeout": "30s",
            "jit": "off",  # compiling costs more than these statements
        }.items()
    ),
}


def _database(url: str) -> dict[str, Any]:
    """Return Django's description of a libpq URL, unix sockets included."""
    given = conninfo_to_dict(url)
    names = {
        "dbname": "NAME",
        "user": "USER",
        "password": "PASSWORD",
        "host": "HOST",
        "port": "PORT",
    }
    return {
        "ENGINE": "config.postgresql",
        **{key: str(given.pop(name, "") or "") for name, key in names.items()},
        # No pool: a thread keeps its connection. psycopg's pool waits 30 s for a dead database and
        # does not survive the fork of a Celery worker.
        "CONN_MAX_AGE": None,
        "CONN_HEALTH_CHECKS": True,  # by what lies in the socket: see the engine
        "ATOMIC_REQUESTS": False,  # answers are streamed outside any transaction
        # The admin's choices read by them; behind a pooler the next page comes from another session.
        "DISABLE_SERVER_SIDE_CURSORS": True,
        # Ours first: of two values of one setting PostgreSQL takes the last.
        "OPTIONS": _DATABASE_OPTIONS
        | given
        | {"options": f"{_DATABASE_OPTIONS['options']} {given.get('options') or ''}".strip()},
    }


DATABASES = {"default": _database(ENVIRONMENT.database_url)}
DATABASE_OWNER_URL = ENVIRONMENT.database_owner_url
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": ENVIRONMENT.cache_url,
        "OPTIONS": {"socket_timeout": 1, "socket_connect_timeout": 1},
    }
}

CELERY_BROKER_URL = ENVIRONMENT.broker_url
QUEUES = celery.QUEUES

# --- sending --------------------------------------------------------------------------------------
SMS_PROVIDERS = ENVIRONMENT.sms_providers
STOP_KEYWORDS = ENVIRONMENT.stop_keywords
SENDING = ENVIRONMENT.sending
MAX_AUDIENCE = ENVIRONMENT.max_audience
DELIVERY_LANES = ENVIRONMENT.delivery_lanes
RATE_LIMIT = ENVIRONMENT.rate_limit
TIMINGS = ENVIRONMENT.timings
FAILPOINTS = ENVIRONMENT.failpoints
AUDIT_KEY = ENVIRONMENT.audit_key
AUDIT_KEY_FALLBACKS = ENVIRONMENT.audit_key_fallbacks

# --- the API --------------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "accounts.authentication.BearerToken",
        "accounts.authentication.KeyHeader",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["accounts.doors.parsers.StrictJSONParser"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "accounts.doors.parsers.AlwaysJSON",
    "DEFAULT_THROTTLE_CLASSES": ["accounts.doors.throttles.OrganizationThrottle"],
    "DEFAULT_PAGINATION_CLASS": "accounts.doors.pagination.Pages",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "config.api_errors.answer",
    "UNAUTHENTICATED_USER": None,
    "URL_FORMAT_OVERRIDE": None,
}
DATA_UPLOAD_MAX_MEMORY_SIZE = 256 * 1024
DATA_UPLOAD_MAX_NUMBER_FIELDS = 2_000

JWT_SIGNING_KEY_FALLBACKS = ENVIRONMENT.jwt_signing_key_fallbacks
SIMPLE_JWT = {
    "ACCESS_TOKEN_LIFETIME": timedelta(minutes=15),
    "REFRESH_TOKEN_LIFETIME": timedelta(days=7),
    "ALGORITHM": "HS256",
    "SIGNING_KEY": ENVIRONMENT.jwt_signing_key,
    "ISSUER": "pregon",
    "AUDIENCE": "pregon",
    "LEEWAY": 30,
    "CHECK_REVOKE_TOKEN": True,  # a password change ends every token
    "USER_ID_CLAIM": "sub",
    "UPDATE_LAST_LOGIN": False,
}

SPECTACULAR_SETTINGS = {
    "TITLE": "Pregon API",  # names the schema's file too, and headers are ASCII
    "DESCRIPTION": "Send one SMS to everybody your organization knows, and follow every message.",
    "VERSION": "0.1.0",
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_AUTHENTICATION": [],
    "SCHEMA_PATH_PREFIX": "/api",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "accounts.doors.schema.tell_what_may_be_empty",
    ],
    # Fields of one name with other choices, and of other names with the same.
    "ENUM_NAME_OVERRIDES": {
        "MessageTypeEnum": "messaging.models.Kind",
        "MessageStatusEnum": "messaging.serializers.messages.SHOWN",
        "BroadcastStatusEnum": "messaging.models.Broadcast.Status",
        "ContactStatusEnum": "contacts.models.Contact.Status",
    },
}

# --- sign-in --------------------------------------------------------------------------------------
AUTHENTICATION_BACKENDS = ["accounts.authentication.ThrottledModelBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = reverse_lazy("admin:login")
LOGIN_REDIRECT_URL = reverse_lazy("admin:index")
SESSION_COOKIE_AGE = 8 * 60 * 60
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"

# --- web ------------------------------------------------------------------------------------------
# Cookies and redirects follow the scheme people reach us by, not the environment's name.
_HTTPS = PUBLIC_URL.startswith("https://")
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = _HTTPS
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]  # probes speak plain HTTP to the process
SECURE_HSTS_SECONDS = 31_536_000 if _HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = _HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if TRUSTED_PROXIES else None
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]
X_FRAME_OPTIONS = "DENY"
APPEND_SLASH = False  # the API's addresses have no slash at their end; a redirect would lose a POST

STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "static" if PRODUCTION else None  # development serves from the apps
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if PRODUCTION
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}
WHITENOISE_USE_FINDERS = not PRODUCTION

# --- language and time ----------------------------------------------------------------------------
LANGUAGE_CODE = ENVIRONMENT.language_code
LANGUAGES = [("en", _("English")), ("es", _("Spanish"))]
LOCALE_PATHS = [BASE_DIR / "config" / "locale"]
TIME_ZONE = ENVIRONMENT.time_zone
USE_TZ = True
FORMAT_MODULE_PATH = "accounts.formats"  # one way to write a moment, with seconds

LOGGING_CONFIG = None
logging.configure(production=PRODUCTION, level=ENVIRONMENT.log_level)

UNFOLD = {
    "SITE_TITLE": "Pregón",
    "SITE_HEADER": "Pregón",
    "SITE_SYMBOL": "campaign",
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": lambda _request: static("pregon/icon.svg")}
    ],
    "STYLES": [lambda _request: static("pregon/admin.css")],
    "SCRIPTS": [lambda _request: static("pregon/admin.js")],
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_BACK_BUTTON": True,
    "LOGIN": {"form": "accounts.admin_forms.SignInForm"},
    "DASHBOARD_CALLBACK": "messaging.admin.start.fill",
    "SIDEBAR": {"navigation": "messaging.admin.navigation.groups"},
}
