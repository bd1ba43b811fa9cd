"use strict";

/*
 * What the pages of broadcasting do in the browser. All of them work without it: it counts as one types,
 * keeps a form from leaving twice, names countries, and says when the page no longer hears from Pregón.
 */
(function () {
  const language = document.documentElement.lang || "en";
  const inWords = new Intl.NumberFormat(language);

  function one(name, within) {
    return (within || document).querySelector('[data-desk="' + name + '"]');
  }

  /* --- the count as one types -------------------------------------------------------------------- */
  function count(field, hasPaused) {
    const found = window.pregonSms.measure(field.value, JSON.parse(field.dataset.alphabet));
    const audience = document.getElementById("audience-recipients");
    one("characters").textContent = inWords.format(found.characters);
    one("encoding").textContent = found.encoding;
    one("segments").textContent = inWords.format(found.segments);
    one("left").textContent = inWords.format(found.left);
    if (audience) {
      const credits = found.segments * Number(audience.dataset.creditsASegment);
      one("credits").textContent = inWords.format(credits);
      one("too-few").hidden = credits <= Number(audience.dataset.balance);
    }
    mark(field.value, found.nonGsm);
    if (hasPaused) {
      one("said").textContent = ["encoding", "segments", "credits"]
        .map((name) => one(name).closest("div").textContent.trim().replace(/\s+/g, ": "))
        .join(", ");
    }
  }

  /* Text is only ever set as text: nothing that is typed becomes a part of the page. */
  function mark(text, nonGsm) {
    const shown = one("marked");
    document.getElementById("text-forcing").hidden = !nonGsm.length;
    one("forcing").textContent = nonGsm.slice(0, 20).join(" ");
    shown.textContent = "";
    if (!nonGsm.length) {
      return;
    }
    const forcing = new Set(nonGsm);
    let run = null;
    for (const character of text) {
      const isMarked = forcing.has(character);
      if (run === null || run.isMarked !== isMarked) {
        run = { isMarked: isMarked, node: document.createElement(isMarked ? "mark" : "span") };
        shown.append(run.node);
      }
      run.node.textContent += character;
    }
  }

  function countAsTyped() {
    const field = one("text");
    if (!field) {
      return;
    }
    let pause = 0;
    field.addEventListener("input", function () {
      count(field, false);
      window.clearTimeout(pause);
      pause = window.setTimeout(() => count(field, true), 1200);
    });
    document.body.addEventListener("htmx:afterSwap", () => count(field, false));
    count(field, false);
  }

  /* --- when ---------------------------------------------------------------------------------------- */
  function offerMoment() {
    const later = one("later");
    const zone = one("time-zone");
    if (zone && !zone.dataset.isOwn) {
      zone.value = Intl.DateTimeFormat().resolvedOptions().timeZone || zone.value;
    }
    if (!later) {
      return;
    }
    const choices = Array.from(document.querySelectorAll('input[name="when"]'));
    function show() {
      later.hidden = !choices.some((choice) => choice.checked && choice.value === "later");
    }
    choices.forEach((choice) => choice.addEventListener("change", show));
    show();
  }

  /* --- once ---------------------------------------------------------------------------------------- */
  function leaveOnce() {
    document.querySelectorAll('form[data-desk="once"]').forEach(function (form) {
      form.addEventListener("submit", function (event) {
        if (form.dataset.isLeaving) {
          event.preventDefault();
          return;
        }
        form.dataset.isLeaving = "yes";
        form.setAttribute("aria-busy", "true");
      });
      /* Shown again from the browser's memory, by its back button. */
      window.addEventListener("pageshow", function () {
        delete form.dataset.isLeaving;
        form.removeAttribute("aria-busy");
      });
    });
  }

  /* --- countries ----------------------------------------------------------------------------------- */
  function nameCountries(within) {
    const names = new Intl.DisplayNames([language], { type: "region", fallback: "code" });
    within.querySelectorAll("[data-country]").forEach(function (place) {
      const code = place.dataset.country;
      if (/^[A-Z]{2}$/.test(code) && place.textContent === code) {
        place.textContent = names.of(code) + " (" + code + ")";
      }
    });
  }

  /* --- what moves by itself ------------------------------------------------------------------------ */
  function watch() {
    const stale = document.getElementById("broadcast-stale");
    document.body.addEventListener("htmx:beforeSwap", function (event) {
      const asked = event.detail.pathInfo.requestPath.split("?")[0];
      if (!event.detail.xhr.responseURL.includes(asked)) {
        event.detail.shouldSwap = false; /* led to the sign-in: a page of its own, not a part of this one */
        window.location.reload();
      }
    });
    document.body.addEventListener("htmx:afterSwap", (event) => nameCountries(event.target));
    if (!stale) {
      return;
    }
    ["htmx:sendError", "htmx:responseError", "htmx:timeout"].forEach(function (name) {
      document.body.addEventListener(name, function () {
        stale.hidden = false;
      });
    });
    document.body.addEventListener("htmx:beforeOnLoad", function (event) {
      if (event.detail.xhr.status < 400) {
        stale.hidden = true;
      }
    });
  }

  /* --- where one begins ------------------------------------------------------------------------------ */
  /* The page is hidden until Alpine has built it: the browser's own autofocus finds nothing to focus. */
  function focusFirst() {
    const first = document.querySelector("[autofocus]");
    if (!first) {
      return;
    }
    document.addEventListener("alpine:initialized", () => window.setTimeout(() => first.focus(), 0));
    if (first.offsetParent) {
      first.focus();
    }
  }

  function begin() {
    focusFirst();
    countAsTyped();
    offerMoment();
    leaveOnce();
    nameCountries(document);
    watch();
  }

  if (document.readyState === "loading") {
    document.addEventListener("DOMContentLoaded", begin);
  } else {
    begin();
  }
})();
