use std::error::Error;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let gateway = std::env::var("GATEWAY").unwrap_or_else(|_| "http://127.0.0.1:8080".to_owned());
    let answer = reqwest::Client::new()
        .post(format!("{gateway}/v1/colorize"))
        .header("Content-Type", "image/jpeg")
        .body(std::fs::read("photo.jpg")?)
        .send()
        .await?;
    if !answer.status().is_success() {
        let problem: serde_json::Value = answer.json().await?;
        return Err(problem["detail"].to_string().into());
    }
    println!("{:?}", answer.headers().get("X-PixColor-Provider"));
    std::fs::write("coloured.jpg", answer.bytes().await?)?;
    Ok(())
}
