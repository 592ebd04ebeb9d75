// Pairs of galaxies, one real, one not: the visitor chooses with a click or an arrow key. Which was
// which is not known here before all are answered.

function makeGame() {
  const root = element("section", "game", "", {tabindex: -1, "aria-label": "Real or synthetic?"})
  const heading = element("p", "samples-heading")
  const start = element("button", "plain-button game-start", "Begin")
  const where = element("p", "game-where", "", {role: "status"})
  const pair = element("div", "game-pair")
  const sides = ["left", "right"].map((side) => {
    const one = element("button", "picture")
    one.dataset.side = side
    one.setAttribute("aria-label", `The ${side} galaxy is real`)
    return one
  })
  pair.append(...sides)
  const words = element("p", "headline", "", {role: "status"})
  const review = element("div", "game-review")
  root.append(heading, start, where, pair, words, review)
  return {root, heading, start, where, pair, sides, words, review}
}

// All pairs at the end, each picture with what it was.
function makeReview(model, showPicture) {
  return model.truth.map(([realLeft, told, name], number) => {
    const one = element("figure", told ? "game-told" : "game-fooled")
    const pictures = [0, 1].map((place) => {
      const real = (place === 0) === realLeft
      const picture = element("div", "picture", "", {role: "img"})
      picture.setAttribute("aria-label", real ? `Real galaxy ${name}` : "Synthetic galaxy")
      showPicture(picture, 2 * number + place)
      const mark = real ? "real-mark" : "synthetic-mark"
      picture.append(element("span", mark, real ? model.real_mark : "SYNTHETIC"))
      return picture
    })
    one.append(...pictures, element("figcaption", "", `${told ? "✓" : "✗ fooled:"} ${name}`))
    return one
  })
}

function keyPressed(event, answer) {
  const side = {ArrowLeft: "left", ArrowRight: "right"}[event.key]
  if (!side || event.repeat) return
  event.preventDefault()
  event.stopPropagation()
  answer(side)
}

// Shows the pair that is to be answered, or what came of the game.
function makeLook(model, parts, here) {
  const {root, start, where, pair, sides, words, review} = parts
  const showPicture = (node, place) =>
    showTile(node, here.address, place, 2, Math.max(1, model.count))
  return () => {
    const {address, answers} = here
    const open = Boolean(address) && answers.length < model.count
    parts.heading.textContent = model.heading
    start.hidden = model.playing && !model.words
    start.textContent = model.words ? "Play again" : "Begin"
    where.hidden = !model.playing || Boolean(model.words)
    where.textContent = address
      ? `Pair ${Math.min(answers.length + 1, model.count)} of ${model.count}`
      : "Drawing …"
    pair.hidden = !open
    if (open) {
      for (const [place, one] of sides.entries()) showPicture(one, 2 * answers.length + place)
    }
    words.textContent = model.words
    review.replaceChildren(...makeReview(model, showPicture))
    root.dataset.pair = open ? answers.length : ""
  }
}

export function render({model}) {
  const parts = makeGame()
  const {root, start, sides} = parts
  const here = {address: null, answers: []}
  const look = makeLook(model, parts, here)
  const answer = (side) => {
    if (!here.address || here.answers.length >= model.count) return
    here.answers.push(side)
    if (here.answers.length === model.count) model.send_msg({answers: here.answers})
    look()
  }
  const draw = (address) => {
    here.address = address
    here.answers = []
    look()
    if (address) root.focus({preventScroll: true})
  }
  start.addEventListener("click", () => model.send_msg({begin: true}))
  for (const one of sides) one.addEventListener("click", () => answer(one.dataset.side))
  root.addEventListener("keydown", (event) => keyPressed(event, answer))
  drawOnChange(model, ["playing", "heading", "truth", "words"], look)
  drawPictures(model, root, ["sheet"], ["count", "stamp"], draw)
  return root
}
