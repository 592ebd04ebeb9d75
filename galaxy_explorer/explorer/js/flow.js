// Groups on two sides and the galaxies that go from one to the other: bands between buttons.

const DRAWN = "http://www.w3.org/2000/svg"
const TALL = 300
const WIDE = 600
const GAP = 6
const LEAST = 18

function drawn(tag, attributes) {
  const node = document.createElementNS(DRAWN, tag)
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value)
  return node
}

// Places of the nodes of a side: small ones as tall as their words, the others by their galaxies.
function stacked(nodes) {
  const room = TALL - GAP * (nodes.length - 1)
  let small = new Set()
  let scale = 0
  for (let turn = 0; turn <= nodes.length; turn++) {
    const large = nodes.filter((node) => !small.has(node))
    const count = large.reduce((sum, node) => sum + node.count, 0)
    scale = (room - LEAST * small.size) / (count || 1)
    const fresh = large.filter((node) => node.count * scale < LEAST)
    if (!fresh.length) break
    small = new Set([...small, ...fresh])
  }
  let top = 0
  return new Map(
    nodes.map((node) => {
      const height = small.has(node) ? LEAST : node.count * scale
      const place = {top, height, scale: height / node.count, used: 0}
      top += height + GAP
      return [node.band, place]
    }),
  )
}

function take(place, count) {
  const top = place.top + place.used
  place.used += count * place.scale
  return [top, top + count * place.scale]
}

function bandPath([a, b], [c, d]) {
  const middle = WIDE / 2
  return `M0 ${a}C${middle} ${a} ${middle} ${c} ${WIDE} ${c}V${d}C${middle} ${d} ${middle} ${b} 0 ${b}Z`
}

function share([top, end], part) {
  return [top, top + (end - top) * part]
}

function makeLink(link, places, picked, send) {
  const ends = [
    take(places[0].get(link.left), link.count),
    take(places[1].get(link.right), link.count),
  ]
  const group = drawn("g", {
    role: "button",
    tabindex: -1,
    class: "flow-link",
    "aria-label": link.words,
  })
  const title = drawn("title", {})
  title.textContent = `${link.words}. Click to select them.`
  group.append(title, drawn("path", {d: bandPath(...ends), fill: link.colour}))
  const count = picked.length ? picked[link.left][link.right] : 0
  if (count) {
    const parts = ends.map((end) => share(end, count / link.count))
    group.append(drawn("path", {d: bandPath(...parts), class: "flow-picked"}))
  }
  group.addEventListener("click", () => send({link: [link.left, link.right]}))
  return group
}

function makeNodes(nodes, side, places, send) {
  const column = element("div", "flow-side")
  for (const node of nodes) {
    const {top, height} = places[side].get(node.band)
    const button = element("button", "flow-node", "", {tabindex: -1})
    button.title = button.ariaLabel = `${node.words}. Click to select them.`
    button.style.top = `${(100 * top) / TALL}%`
    button.style.height = `${(100 * height) / TALL}%`
    button.style.setProperty("--band", node.colour)
    button.append(
      element("b", "", node.label),
      element("span", "", node.count.toLocaleString("en")),
    )
    button.addEventListener("click", () => send({node: [side, node.band]}))
    column.append(button)
  }
  return column
}

// One stop for the Tab key; arrows go from part to part, Enter and the space bar select.
function moveAmong(event, box) {
  const parts = [...box.querySelectorAll(".flow-node, .flow-link")]
  const here = parts.indexOf(event.target.closest(".flow-node, .flow-link"))
  const by = {ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1}[event.key]
  const next = by && parts[here + by]
  const press = event.key === "Enter" || event.key === " "
  if (next) {
    parts[here].setAttribute("tabindex", -1)
    next.setAttribute("tabindex", 0)
    next.focus()
  }
  if (press && here >= 0) parts[here].dispatchEvent(new MouseEvent("click"))
  if (next || press) event.preventDefault()
}

// Fills a box with a flow; picked: selected galaxies of each pair of bands, empty where none are.
function drawFlow(box, flow, picked, send) {
  const places = flow.nodes.map(stacked)
  const svg = drawn("svg", {viewBox: `0 0 ${WIDE} ${TALL}`, preserveAspectRatio: "none"})
  svg.append(...flow.links.map((link) => makeLink(link, places, picked, send)))
  const sides = flow.nodes.map((nodes, side) => makeNodes(nodes, side, places, send))
  box.replaceChildren(sides[0], svg, sides[1])
  box.querySelector(".flow-node").tabIndex = 0
}
