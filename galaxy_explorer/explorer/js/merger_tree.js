// A tree of mergers with a line that cuts it: dragged, or moved by the arrow keys.

const SVG = "http://www.w3.org/2000/svg"
const WIDTH = 1000
const TALL = 300

function makePath(points, colour) {
  const node = document.createElementNS(SVG, "path")
  node.setAttribute("d", `M ${points.join(" L ")}`)
  node.setAttribute("stroke", colour)
  node.setAttribute("vector-effect", "non-scaling-stroke")
  return node
}

function at(x, y) {
  return `${(x * WIDTH).toFixed(1)} ${((1 - y) * TALL).toFixed(1)}`
}

// The two sides of each merger, as lines from what is joined up to the join.
function branchPaths([x1, x2, y1, y2, y, left, right]) {
  const middle = at((x1 + x2) / 2, y)
  return [
    makePath([at(x1, y1), at(x1, y), middle], left),
    makePath([middle, at(x2, y), at(x2, y2)], right),
  ]
}

function makeTree() {
  const svg = document.createElementNS(SVG, "svg")
  svg.setAttribute("viewBox", `0 -8 ${WIDTH} ${TALL + 12}`)
  svg.setAttribute("preserveAspectRatio", "none")
  svg.setAttribute("aria-hidden", "true")
  return svg
}

function makeCut(tag) {
  const line = element("div", "merger-cut")
  line.tabIndex = 0
  line.setAttribute("role", "slider")
  line.setAttribute("aria-label", "Number of groups: where the tree is cut")
  line.setAttribute("aria-orientation", "vertical")
  line.title = "Drag, or use the arrow keys"
  line.append(tag)
  return line
}

// Heights of the mergers, the last one first: k groups are left between mergers k - 2 and k - 1.
function heightsOf(branches) {
  return branches.map((branch) => branch[4]).reverse()
}

function cutHeight(branches, k) {
  const all = heightsOf(branches)
  const above = k < 2 ? 1.03 : all[k - 2]
  const below = k - 1 < all.length ? all[k - 1] : 0
  return (above + below) / 2
}

export function render({model}) {
  const root = element("div", "merger")
  const svg = makeTree()
  const tag = element("span", "merger-tag")
  const line = makeCut(tag)
  root.append(svg, line)

  const most = () => model.branches.length + 1
  const groupsAt = (y) =>
    Math.min(most(), heightsOf(model.branches).filter((height) => height > y).length + 1)

  const mark = () => {
    const y = cutHeight(model.branches, model.k)
    line.style.top = `${(100 * ((1 - y) * TALL + 8)) / (TALL + 12)}%`
    line.setAttribute("aria-valuemin", 1)
    line.setAttribute("aria-valuemax", most())
    line.setAttribute("aria-valuenow", model.k)
    tag.textContent = `${model.k} groups`
    root.dataset.k = model.k
  }
  const cut = (k) => {
    const wanted = Math.max(1, Math.min(most(), k))
    if (wanted !== model.k) model.k = wanted
  }

  const draw = () => {
    svg.replaceChildren(...model.branches.flatMap(branchPaths))
    root.dataset.merges = model.branches.length
    mark()
  }

  const follow = (event) => {
    const box = svg.getBoundingClientRect()
    const y = ((event.clientY - box.top) / box.height) * (TALL + 12) - 8
    cut(groupsAt(1 - y / TALL))
  }
  root.addEventListener("pointerdown", (event) => {
    root.setPointerCapture(event.pointerId)
    follow(event)
    line.focus()
    event.preventDefault()
  })
  root.addEventListener("pointermove", (event) => {
    if (root.hasPointerCapture(event.pointerId)) follow(event)
  })
  line.addEventListener("keydown", (event) => {
    const by = {ArrowUp: -1, ArrowDown: 1, ArrowLeft: -1, ArrowRight: 1, PageUp: -5, PageDown: 5}
    if (!by[event.key]) return
    event.preventDefault()
    cut(model.k + by[event.key])
  })
  model.on("branches", draw)
  model.on("k", mark)
  draw()
  return root
}
