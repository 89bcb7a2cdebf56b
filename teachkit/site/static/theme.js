// Before anything is drawn: the theme that was chosen last, if the browser may keep one.
(function () {
  "use strict";
  let kept = null;
  try { kept = localStorage.getItem("teachkit-theme"); } catch (error) { kept = null; }
  if (kept === "light" || kept === "dark") document.documentElement.dataset.theme = kept;
})();
