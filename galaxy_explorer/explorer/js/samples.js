// Synthetic galaxies, each with the real galaxy that is nearest to it and what is known of it.
// Reports {sample: number} and {focus: row of the real galaxy}.

function makeCard(model) {
  const card = element("div", "sample")
  const picture = element("button", "picture sample-picture synthetic")
  picture.append(element("span", "synthetic-mark", "SYNTHETIC"))
  picture.addEventListener("click", () => model.send_msg({sample: Number(card.dataset.place)}))
  const side = element("div", "sample-side")
  const nearest = element("button", "picture sample-real")
  nearest.setAttribute("aria-label", "Nearest real galaxy: not looked for yet")
  nearest.append(element("span", "real-mark", model.real_mark))
  nearest.addEventListener("click", () => model.send_msg({focus: Number(card.dataset.row)}))
  side.append(nearest, element("div", "sample-lines"))
  card.append(picture, side)
  return card
}

function fillCard(model, card, place, count) {
  const known = model.cards[place]
  const [picture, side] = card.children
  card.dataset.place = place
  picture.setAttribute("aria-label", `${model.words}, ${place + 1} of ${count}`)
  picture.setAttribute("aria-pressed", String(place === model.chosen))
  side.classList.toggle("empty", !known)
  side.firstChild.disabled = !known
  side.lastChild.replaceChildren(
    ...(known ? known.lines : []).map(([words, hint]) => {
      const line = element("div", hint ? "hint" : "", words)
      if (hint) line.title = hint
      return line
    }),
  )
  if (!known) return
  card.dataset.row = known.row
  side.firstChild.setAttribute("aria-label", `Nearest real galaxy: ${known.words}`)
  side.firstChild.title = known.words
}

export function render({model}) {
  const root = element("section", "samples", "", {"aria-label": "Synthetic galaxies"})
  const heading = element("p", "samples-heading")
  const grid = element("div", "samples-grid")
  root.append(heading, grid)

  const draw = (sheet, reals) => {
    const count = model.count
    while (grid.children.length < count) grid.append(makeCard(model))
    while (grid.children.length > count) grid.lastChild.remove()
    const lines = Math.max(1, Math.ceil(count / model.sheet_columns))
    const cards = [...grid.children]
    cards.forEach((card, place) => {
      fillCard(model, card, place, count)
      card.firstChild.classList.toggle("blank", !sheet)
      showTile(card.firstChild, sheet, place, model.sheet_columns, lines)
      showTile(card.lastChild.firstChild, reals, place, model.sheet_columns, lines)
    })
    heading.textContent = model.heading
    root.dataset.compared = model.cards.length
    root.dataset.words = model.words
    root.classList.toggle("twins", model.twins)
    root.classList.toggle("pending", model.pending)
  }
  const names = ["cards", "count", "heading", "words", "chosen", "stamp", "pending"]
  drawPictures(model, root, ["sheet", "real_sheet"], names, draw)
  return root
}
