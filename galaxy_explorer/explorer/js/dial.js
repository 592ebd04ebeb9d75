// One figure for all sizes of a codebook: dots with their intervals, the size that is shown stands out.

const DIAL_WIDE = 220
const DIAL_TALL = 64
const EDGE = 7

function dialHeight(value, end) {
  return EDGE + (1 - Math.min(value, end) / end) * (DIAL_TALL - 2 * EDGE)
}

function dialPoint(figure, x, end, kind) {
  const group = drawn("g", {class: kind})
  if (figure.low !== null && figure.high !== null) {
    const [y1, y2] = [dialHeight(figure.high, end), dialHeight(Math.max(0, figure.low), end)]
    group.append(drawn("line", {x1: x, x2: x, y1, y2}))
  }
  if (figure.chance !== null) {
    const y = dialHeight(Math.max(0, figure.chance), end)
    group.append(drawn("line", {x1: x - 9, x2: x + 9, y1: y, y2: y, class: "chance"}))
  }
  group.append(
    drawn("circle", {cx: x, cy: dialHeight(figure.value, end), r: kind === "now" ? 5 : 3}),
  )
  return group
}

// sizes: the numbers of codes. figures: of each size, with null where there is none; here: which is shown; beside: the same of
// the larger map, or null.
function drawDial(svg, sizes, figures, here, beside, end) {
  const step = (DIAL_WIDE - 4 * EDGE) / Math.max(1, figures.length - 1)
  const at = (place) => 2 * EDGE + place * step
  const base = dialHeight(0, end)
  const points = figures.map((figure, place) => {
    const known = figure && figure.value !== null
    return known ? dialPoint(figure, at(place), end, place === here ? "now" : "other") : ""
  })
  const larger = beside?.value ? [dialPoint(beside, at(here) - 10, end, "larger")] : []
  const sized = [0, figures.length - 1].map((place) => {
    const label = drawn("text", {x: at(place), y: DIAL_TALL + 11, "text-anchor": "middle"})
    label.textContent = sizes[place]
    return label
  })
  svg.replaceChildren(
    ...sized,
    drawn("line", {x1: 0, x2: DIAL_WIDE, y1: base, y2: base, class: "axis"}),
    ...points.filter(Boolean),
    ...larger,
  )
}

// A question, the figure that answers it, the same figure for all sizes, and the answer in words.
function makeDial({name, question, unit, explanation}) {
  const root = element("section", "dial")
  root.dataset.dial = name
  const head = element("h3", "", question)
  const value = element("b", "dial-value")
  const figure = element("div", "dial-figure")
  const svg = drawn("svg", {viewBox: `0 0 ${DIAL_WIDE} ${DIAL_TALL + 14}`, "aria-hidden": "true"})
  const side = element("div", "dial-side")
  const meaning = element("span", "dial-unit", unit)
  meaning.title = explanation
  meaning.tabIndex = 0
  side.append(value, meaning)
  figure.append(side, svg)
  const answer = element("p", "answer")
  const trend = element("p", "soft")
  root.append(head, figure, answer, trend)
  return {root, value, svg, answer, trend}
}
