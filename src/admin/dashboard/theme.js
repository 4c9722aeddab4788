// Light or dark, before anything is painted: that's why this is no module.
'use strict';
(() => {
  const root = document.documentElement;
  const stored = () => {
    try { return localStorage.getItem('firedoor-theme') ?? 'auto'; } catch { return 'auto'; }
  };
  const choose = (theme) => { root.dataset.theme = theme; };
  choose(stored());
  document.addEventListener('DOMContentLoaded', () => {
    for (const radio of document.querySelectorAll('input[name=theme]')) radio.checked = radio.value === stored();
    document.getElementById('themes').addEventListener('change', (event) => {
      // A browser that stores nothing still switches.
      try { localStorage.setItem('firedoor-theme', event.target.value); } catch { /* private window */ }
      choose(event.target.value);
    });
  });
})();
