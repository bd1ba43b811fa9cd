"use strict";

/*
 * What the admin's pages need beside unfold's own. Its button of filters is a link that leads nowhere, so
 * neither the keyboard nor a screen reader finds it; and its fields that complete have no names.
 */
(function () {
  function begin() {
    document.querySelectorAll("a:not([href])").forEach(function (link) {
      if (link.getAttribute("x-on:click") !== "filterOpen = true") {
        return;
      }
      link.setAttribute("role", "button");
      link.setAttribute("tabindex", "0");
      link.setAttribute("aria-controls", "changelist-filter");
      link.addEventListener("keydown", function (event) {
        if (event.key === "Enter" || event.key === " ") {
          event.preventDefault();
          link.click();
          const first = document.querySelector("#changelist-filter :is(select, input:not([type=hidden]))");
          window.setTimeout(() => first && first.focus(), 50);
        }
      });
    });
  }

  /* select2 names its field by what is chosen alone: where nothing is, by nothing. */
  function nameFields() {
    document.querySelectorAll("select.select2-hidden-accessible[id]").forEach(function (select) {
      const label = document.querySelector('label[for="' + CSS.escape(select.id) + '"]');
      const shown = select.parentElement.querySelector(".select2-selection[role=combobox]");
      if (label && shown) {
        label.id = label.id || select.id + "-label";
        shown.setAttribute("aria-labelledby", label.id + " select2-" + select.id + "-container");
        shown.querySelectorAll("[role=textbox]").forEach((inner) => inner.setAttribute("aria-labelledby", label.id));
      }
    });
  }

  /* They are built at some moment after the page, and others when a row is added to a form. */
  function watchFields() {
    nameFields();
    new MutationObserver(function (changes) {
      const isField = (node) => node.classList && node.classList.contains("select2");
      if (changes.some((change) => Array.from(change.addedNodes).some(isField))) {
        nameFields();
      }
    }).observe(document.body, { childList: true, subtree: true });
  }

  window.addEventListener("load", watchFields);
  if (document.readyState === "loading") {
    document.addEventListener("DOMContentLoaded", begin);
  } else {
    begin();
  }
})();
