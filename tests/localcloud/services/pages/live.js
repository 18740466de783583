/** Keeps `/_dev` as it would be if it were loaded again, every two seconds while somebody looks. */

const EVERY_MS = 2000;
const TITLE = document.title;

const keyOf = (element) => `${element.closest("details")?.id} ${element.getAttribute("href") ?? element.form?.action ?? element.tagName}`;

function replace(main, next) {
  for (const open of main.querySelectorAll("details[open]")) next.querySelector(`#${CSS.escape(open.id)}`)?.setAttribute("open", "");
  if (next.innerHTML === main.innerHTML) return;
  const focused = main.contains(document.activeElement) ? keyOf(document.activeElement) : null;
  main.replaceChildren(...next.childNodes);
  const same = focused && [...main.querySelectorAll("a, button, summary")].find((each) => keyOf(each) === focused);
  same?.focus({ preventScroll: true });
}

async function look() {
  if (document.hidden || !getSelection().isCollapsed) return; // nobody looks, or they are copying
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    replace(document.querySelector("main"), page.querySelector("main"));
    document.title = TITLE;
  } catch {
    document.title = `(not answering) ${TITLE}`;
  }
}

setInterval(look, EVERY_MS);
document.addEventListener("visibilitychange", look);
