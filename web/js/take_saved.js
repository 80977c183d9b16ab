// The row of the take panel for the file that was saved: it is heard as it is, shown large, downloaded.
import { button, make } from "./take_elements.js";

export class SavedFile {
  // `files`: one for each take if all were chosen, else one. `acts`: pick, and what shows a file large.
  constructor(files, isOneEach, { fileUrl, pick, enlarge }) {
    Object.assign(this, { files, isOneEach, fileUrl });
    this.hear = button("Saved file", pick, "Hear the file as it was saved, its own sound included");
    this.name = make("span", { class: "fact name" });
    this.link = make("a", { title: "Download the saved file" }, ["Download"]);
    const large = button("Full screen", enlarge, "Show the picture on the whole screen");
    this.element = make("div", { class: "row saved" }, [this.hear, this.name, large, this.link]);
    this.showTake(0);
  }

  // The file that holds a take, or the only one.
  showTake(take) {
    this.file = (this.isOneEach && this.files[take]) || this.files[0];
    this.url = this.fileUrl(this.file);
    this.name.textContent = this.name.title = this.file.filename;
    this.link.href = this.url;
    this.link.download = this.file.filename;
  }

  showPicked(isPicked) {
    this.hear.setAttribute("aria-pressed", String(isPicked));
  }
}
