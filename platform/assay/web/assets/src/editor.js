import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { yaml } from "@codemirror/lang-yaml";
import { bracketMatching, HighlightStyle, indentOnInput, indentUnit, syntaxHighlighting } from "@codemirror/language";
import { lintGutter, setDiagnostics } from "@codemirror/lint";
import { EditorState } from "@codemirror/state";
import { drawSelection, EditorView, highlightActiveLine, highlightActiveLineGutter, keymap, lineNumbers } from "@codemirror/view";
import { tags } from "@lezer/highlight";

const colours = HighlightStyle.define([
  { tag: [tags.propertyName, tags.definition(tags.propertyName)], color: "var(--code-key)" },
  { tag: [tags.string, tags.special(tags.string)], color: "var(--code-string)" },
  { tag: [tags.number, tags.bool, tags.null, tags.atom], color: "var(--code-number)" },
  { tag: tags.comment, color: "var(--ink-faint)", fontStyle: "italic" },
  { tag: [tags.punctuation, tags.separator, tags.squareBracket, tags.brace], color: "var(--ink-faint)" },
]);

const look = EditorView.theme({
  "&": { backgroundColor: "var(--surface)", color: "var(--ink)", fontSize: "0.875rem" },
  "&.cm-focused": { outline: "2px solid var(--focus)", outlineOffset: "1px" },
  ".cm-scroller": { fontFamily: "var(--mono)", lineHeight: "1.6", minHeight: "24rem", maxHeight: "70vh" },
  ".cm-content": { caretColor: "var(--ink)", padding: "0.75rem 0" },
  ".cm-cursor": { borderLeftColor: "var(--ink)" },
  ".cm-gutters": { backgroundColor: "var(--sunken)", color: "var(--ink-faint)", border: "none" },
  ".cm-activeLine, .cm-activeLineGutter": { backgroundColor: "var(--active-line)" },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": { backgroundColor: "var(--selection)" },
  ".cm-tooltip": { backgroundColor: "var(--surface)", color: "var(--ink)", border: "1px solid var(--line)" },
});

/** What the server found wrong stands in an ordered list; those with a line are marked in the text too. */
function marks(view, list) {
  const found = [];
  for (const item of list?.querySelectorAll("[data-line]") ?? []) {
    const number = Math.min(Number(item.dataset.line), view.state.doc.lines);
    const { from, to } = view.state.doc.line(Math.max(1, number));
    found.push({ from, to, severity: "error", message: item.textContent.trim().replace(/\s+/g, " ") });
  }
  return setDiagnostics(view.state, found);
}

/** A browser that types over coloured text gives the new text the old colour as a style, which the policy forbids. */
function typeOver(event, view) {
  if (event.inputType !== "insertText" || event.isComposing || event.data === null) return false;
  if (view.state.selection.main.empty) return false;
  event.preventDefault();
  view.dispatch(view.state.replaceSelection(event.data), { userEvent: "input.type", scrollIntoView: true });
  return true;
}

function open(area) {
  const nonce = document.querySelector("meta[name=style-nonce]").content;
  const view = new EditorView({
    parent: area.parentElement,
    state: EditorState.create({
      doc: area.value,
      extensions: [
        EditorView.cspNonce.of(nonce),
        lineNumbers(),
        lintGutter(),
        history(),
        drawSelection(),
        indentOnInput(),
        bracketMatching(),
        highlightActiveLine(),
        highlightActiveLineGutter(),
        yaml(),
        indentUnit.of("  "),
        EditorView.lineWrapping,
        syntaxHighlighting(colours),
        look,
        // Escape, then Tab leaves the editor: the keyboard must never be caught in it.
        keymap.of([...defaultKeymap, ...historyKeymap, indentWithTab]),
        EditorView.contentAttributes.of({ tabindex: "0", "aria-label": area.dataset.label, "aria-describedby": "editor-keys" }),
        EditorView.domEventHandlers({ beforeinput: typeOver }),
        EditorView.updateListener.of((update) => {
          if (!update.docChanged) return;
          area.value = update.state.doc.toString();
          area.dispatchEvent(new Event("change", { bubbles: true }));
        }),
      ],
    }),
  });
  area.hidden = true;
  const mark = () => view.dispatch(marks(view, document.querySelector("[data-findings]")));
  mark();
  document.addEventListener("htmx:after:swap", mark);
  document.addEventListener("click", (event) => {
    const line = event.target.closest("[data-go-to-line]")?.dataset.goToLine;
    if (!line) return;
    event.preventDefault();
    const { from } = view.state.doc.line(Math.min(Number(line), view.state.doc.lines));
    view.dispatch({ selection: { anchor: from }, scrollIntoView: true });
    view.focus();
  });
}

for (const area of document.querySelectorAll("textarea[data-yaml]")) open(area);
