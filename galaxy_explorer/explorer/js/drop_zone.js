// Where a picture is dropped or chosen. One that is too large is not even read: its size is told.

export function render({model}) {
  const zone = element("label", "drop-field")
  const words = element("span", "drop-words")
  const input = element("input", "drop-input", "", {type: "file"})
  zone.append(words, input)

  const take = async (file) => {
    if (!file) return
    const data = file.size <= model.limit ? await file.arrayBuffer() : null
    model.send_msg({name: file.name, size: file.size, data})
  }
  const dress = () => {
    words.textContent = model.words
    input.accept = model.accept
    input.setAttribute("aria-label", model.words)
    input.disabled = model.busy
    zone.classList.toggle("busy", model.busy)
  }
  input.addEventListener("change", () => {
    take(input.files[0])
    input.value = "" // the same file again is a change, too
  })
  for (const name of ["dragenter", "dragover", "dragleave", "drop"]) {
    zone.addEventListener(name, (event) => {
      event.preventDefault()
      zone.classList.toggle("over", name === "dragenter" || name === "dragover")
      if (name === "drop" && !model.busy) take(event.dataTransfer.files[0])
    })
  }
  model.on(["words", "accept", "busy"], dress)
  dress()
  return zone
}
