/** A phone's keyboard covers the page without making it smaller: the page follows what can really be seen. */

const KEYBOARD = 120; // px: no bar of a browser is as high

export function fit() {
  const seen = window.visualViewport;
  if (!seen) return;
  const follow = () => {
    const root = document.documentElement;
    const covered = seen.scale === 1 && innerHeight - seen.height > KEYBOARD; // enlarged by two fingers it is smaller too
    root.toggleAttribute("data-keyboard", covered);
    root.style.setProperty("--seen", covered ? `${seen.height}px` : "100dvh");
    root.style.setProperty("--above", covered ? `${seen.offsetTop}px` : "0px");
  };
  seen.addEventListener("resize", follow);
  seen.addEventListener("scroll", follow);
  follow();
}
