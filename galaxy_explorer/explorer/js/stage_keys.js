// The Hubble stages as buttons for one galaxy; that which the annotator has given is pressed.
export function render({model}) {
  const root = element("div", "stage-keys", "", {role: "group"})
  root.setAttribute("aria-label", "Label: Hubble stage")
  const keys = element("div", "stage-row")
  const note = element("p", "stage-note", "", {role: "status"})
  root.append(keys, note)

  const press = (label) => {
    const name = rememberedName()
    if (!name && !model.login) {
      note.textContent = "Say first who labels: press “Label this”"
      return
    }
    note.textContent = "Saving …"
    const given = label === model.said ? "" : label // pressed again: taken back
    model.send_msg({name, galaxy: model.galaxy, label: given, event_id: newId()})
  }
  const draw = () => {
    for (const key of keys.children) {
      key.setAttribute("aria-pressed", String(key.dataset.label === model.said))
    }
    note.textContent = model.note
  }
  const dress = () => {
    keys.replaceChildren(
      ...model.terms.map(([label, words, colour]) => {
        const key = element("button", "stage-key", words)
        key.dataset.label = label
        key.style.setProperty("--term", colour)
        key.addEventListener("click", () => press(label))
        return key
      }),
    )
    draw()
  }
  drawOnChange(model, ["galaxy", "said", "note", "stamp"], draw)
  drawOnChange(model, ["terms"], dress)
  dress()
  const name = rememberedName()
  if (name && !model.login) model.send_msg({name})
  return root
}
