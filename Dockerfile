# The image of web, worker, dispatcher and migrate: compose.yaml starts each with its own command.

FROM python:3.13-slim AS wheels
WORKDIR /wheels
COPY requirements.txt ./
RUN pip wheel --no-cache-dir --requirement requirements.txt

FROM python:3.13-slim
RUN useradd --system --user-group --no-create-home --home-dir /nonexistent \
    --shell /usr/sbin/nologin pregon
RUN --mount=type=bind,from=wheels,source=/wheels,target=/wheels \
    pip install --no-cache-dir --no-index --find-links /wheels \
    --requirement /wheels/requirements.txt
WORKDIR /app
COPY manage.py ./
COPY config config
COPY messaging messaging
COPY contacts contacts
COPY billing billing
COPY accounts accounts
COPY templates templates
ENV PYTHONUNBUFFERED=1 PREGON_ENV=production
# Collecting the static files needs settings that load, and none of these values after that.
RUN SECRET_KEY=build JWT_SIGNING_KEY=build AUDIT_KEY=build PUBLIC_URL=https://build \
    DATABASE_URL=postgresql://build REDIS_URL=redis://build ALLOWED_HOSTS=build \
    python manage.py collectstatic --no-input
USER pregon
EXPOSE 8000
# Asked by the name that people use: another one is no host of this site.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["python", "-c", "import http.client, os, urllib.parse; site = http.client.HTTPConnection('127.0.0.1', 8000, timeout=4); site.request('GET', '/healthz', headers={'Host': urllib.parse.urlsplit(os.environ['PUBLIC_URL']).netloc}); raise SystemExit(site.getresponse().status != 200)"]
CMD ["gunicorn", "config.wsgi", "--worker-class", "config.web_worker.WebWorker", "--workers", "2", "--threads", "8", "--limit-request-line", "8190", "--no-control-socket", "--logger-class", "config.web_log.WebServerLog", "--forwarded-allow-ips", "", "--bind", "0.0.0.0:8000"]
