// A histogram of Hubble types as a small drawing: heights 0..1, a colour each.

const SVG = "http://www.w3.org/2000/svg"
const HEIGHT = 40

function bars(panel) {
  const svg = document.createElementNS(SVG, "svg")
  svg.setAttribute("viewBox", `0 0 100 ${HEIGHT}`)
  svg.setAttribute("preserveAspectRatio", "none")
  svg.setAttribute("aria-hidden", "true")
  panel.bars.forEach((height, place) => {
    const rect = document.createElementNS(SVG, "rect")
    rect.setAttribute("x", place * 10 + 0.75)
    rect.setAttribute("width", 8.5)
    rect.setAttribute("y", HEIGHT * (1 - height))
    rect.setAttribute("height", HEIGHT * height)
    rect.setAttribute("fill", panel.tints[place])
    svg.append(rect)
  })
  return svg
}
